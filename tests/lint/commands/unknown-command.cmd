chekc sluice.yaml
