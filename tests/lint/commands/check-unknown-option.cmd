check --strict sluice.yaml
