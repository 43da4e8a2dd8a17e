"""Stack config and the files rendered from it: everything here is pure, and imports no Pulumi but in `stack_config`."""
