"""Declares nothing."""

import pulumi

pulumi.log.debug("nothing to declare")
