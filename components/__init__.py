"""The parts of the cluster, one Pulumi component a file."""
