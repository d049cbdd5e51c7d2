plan --cores 32 --mode compact --storage-engine parquet
