plan --cores 2 --mode all --storage-engine parquet
