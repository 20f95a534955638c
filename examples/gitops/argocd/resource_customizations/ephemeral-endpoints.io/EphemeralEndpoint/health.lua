-- The conditions follow kstatus (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md),
-- with one addition: an object that has ended by itself stays as a tombstone, which is neither in progress nor a failure.
local ends = { Expired = true, OverBudget = true, PullRequestClosed = true, PullRequestMerged = true, Retained = true }
local health = { status = "Progressing", message = "Waiting for the operator" }

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local ready = conditions.Ready
local stalled = conditions.Stalled
local reconciling = conditions.Reconciling
local is_stalled = stalled ~= nil and stalled.status == "True"
local is_reconciling = reconciling ~= nil and reconciling.status == "True"

if ready ~= nil then
  health.message = ready.message
  -- What AWS refuses to delete still costs money: such a tombstone is stalled for another reason.
  if ends[ready.reason] and not is_reconciling and (not is_stalled or stalled.reason == ready.reason) then
    health.status = "Suspended"
    return health
  end
end

if is_stalled then
  health.status = "Degraded"
  health.message = stalled.message
elseif obj.spec.suspend and not is_reconciling then
  health.status = "Suspended"
  health.message = reconciling ~= nil and reconciling.message or "spec.suspend is true"
elseif ready ~= nil and ready.status == "True" then
  health.status = "Healthy"
end
return health
