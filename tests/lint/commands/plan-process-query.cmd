plan --cores 16 --mode process,query --storage-engine parquet
