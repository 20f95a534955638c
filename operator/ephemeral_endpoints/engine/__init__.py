"""The engine: resources, the plan, drift, conditions, names and errors. Pure; it knows no kind of AWS resource."""
