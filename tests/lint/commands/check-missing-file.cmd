check sluice.yaml no-such-file.yaml
