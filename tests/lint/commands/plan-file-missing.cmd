plan no-such-file.yaml
