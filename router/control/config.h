#ifndef SLUICE_CONTROL_CONFIG_H
#define SLUICE_CONTROL_CONFIG_H
/*
 * The configuration in force, by the names of the schema: what the operator wrote and the defaults of the rest. It is JSON, and JSON is YAML, so
 * it can be given to `sluice check` and to `sluice serve` as it comes. Keys that are not set and have no default are left out. No secret stands
 * in a configuration: tokens and keys are in files, of which it names the paths.
 */
struct topology;
struct json_t;

/* NULL without memory. The caller decrefs it. */
struct json_t *config_format(const struct topology *topology);

#endif
