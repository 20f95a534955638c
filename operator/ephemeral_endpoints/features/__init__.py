"""The capabilities, one folder each: its kinds of resources, their desired state, policies, and the calls to AWS."""
