"""What LiteFS runs on every writer: it follows LiteFS's role, guards the lease, and lets changes in one by one.

    litefs ── exec ──► supervisor ──► Seafowl, read-write (primary, behind the gate) or read-only (standby)

`node` puts the parts together:

- the write port: `gate`, `http_connection`, `changes` (which tables a request changes), `table_order` (who waits);
- the role: `litefs` (role and positions), `lease` (Consul) or `static_lease`, `standbys` (who has what was written);
- the catalog: `catalog` (its tables), `catalog_check`, `catalog_mend`, `catalog_rescue`, `ltx` (before LiteFS starts),
  `lost` (what a returning primary had not replicated);
- tables: `maintenance` (when and for which), `control` (commands of this container);
- `seafowl_process`, `http_client`, `log`.

Python 3.10 or newer, with the packages of `requirements.txt`: it runs in Seafowl's own image.
"""
