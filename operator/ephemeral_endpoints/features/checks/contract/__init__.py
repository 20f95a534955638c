"""Whether a change of the API's JSON Schemas breaks those who call by the schemas of the base."""
