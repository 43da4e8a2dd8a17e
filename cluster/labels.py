"""Labels of everything that a stack has in Docker: how its parts are told from all else on that host."""

PROJECT = "org.seafowl.project"
STACK = "org.seafowl.stack"
ROLE = "org.seafowl.role"
MEMBER = "org.seafowl.member"
DEPLOYMENT = "org.seafowl.deployment"
"""On containers: an id that the stack made once. Two stacks of one name, from two states, differ in it."""
