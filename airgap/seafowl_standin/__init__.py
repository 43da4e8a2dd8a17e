"""Stand-in for Seafowl 0.5.8: its HTTP API over datafusion and deltalake, its catalog in a SQLite file.

It takes Seafowl's place where only package registries can be reached. It says what it is wherever it shows
(image label, `GET /healthz`, `Server` header, log) and refuses what the original refuses.
"""
