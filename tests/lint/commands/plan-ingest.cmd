plan --cores 32 --mode ingest --storage-engine parquet
