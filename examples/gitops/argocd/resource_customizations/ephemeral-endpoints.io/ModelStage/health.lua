-- A stage is what it serves: while a person, a freeze or the stage before is waited for, it serves on and is healthy.
-- Before the first promotion it serves nothing, which is neither progress nor a failure.
local failures = { PromotionFailed = true, RollbackFailed = true }
local progress = { Promoting = true, Verifying = true, GoingBack = true }
local health = { status = "Progressing", message = "Waiting for the operator" }

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local ready = conditions.Ready
local promoted = conditions.Promoted
local stalled = conditions.Stalled

if stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  health.message = stalled.message
elseif ready ~= nil and promoted ~= nil then
  health.message = promoted.message
  if failures[promoted.reason] then
    health.status = "Degraded"
  elseif not progress[promoted.reason] then
    if ready.status == "True" then
      health.status = "Healthy"
    elseif ready.reason == "NoEndpoint" then
      health.status = "Suspended"
    else
      health.message = ready.message
    end
  end
end
return health
