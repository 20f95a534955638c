-- A promotion runs once. One that waits for a person, or that a rollback has replaced, is neither progress nor a failure.
local health = { status = "Progressing", message = "Waiting for the operator" }

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Complete" then
    health.message = condition.message
    if condition.reason == "AwaitingApproval" or condition.reason == "Superseded" then
      health.status = "Suspended"
    elseif condition.status == "True" then
      health.status = "Healthy"
    elseif condition.status == "False" then
      health.status = "Degraded"
    end
  end
end
return health
