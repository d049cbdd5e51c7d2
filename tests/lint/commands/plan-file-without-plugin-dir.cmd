plan ../tests/lint/layout-medium-as-printed.yaml
