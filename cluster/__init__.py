"""The cluster as its Docker Engine shows it: what is asked of Docker beside the provider."""
