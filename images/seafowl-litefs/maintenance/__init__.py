"""Care for the tables in the object store: checkpoints, compaction, and what no kept version needs any more."""
