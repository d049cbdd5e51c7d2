plan --cores 64 --mode query --memory 32GiB --storage-engine parquet
