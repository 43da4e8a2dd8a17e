"""What `make` runs beside pulumi, on a running stack: demo and status."""
