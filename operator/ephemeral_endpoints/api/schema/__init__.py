"""Files generated from the models: the CRDs, their field reference, and the policy for approvals."""
