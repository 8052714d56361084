-- What gateways on nginx and Lua do for each request: the token verified once and cached until it expires (as
-- lua-resty-openidc has it), then one call of Redis to count.
local cjson, digest, pkey = require "cjson.safe", require "openssl.digest", require "openssl.pkey"

local COUNT = [[
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if count == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return count]]
local CACHED = 10000
local M, cache, cached, script, redis = {}, {}, 0, nil, nil

function M.init(settings) -- {key = PEM, issuer =, port = of Redis, limit = per minute, redis = the client's module}
  M.settings, M.key, redis = settings, pkey.new(settings.key), require(settings.redis)
end

local function decode(part)
  return ngx.decode_base64((part:gsub("-", "+"):gsub("_", "/")) .. ("="):rep(-#part % 4))
end

local function verify(token)
  local head, body, signature = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  local header = head and cjson.decode(decode(head) or "")
  if not header or header.alg ~= "RS256" then return end
  local hash = digest.new("sha256"):update(head .. "." .. body)
  if not M.key:verify(decode(signature), hash) then return end
  local claims = cjson.decode(decode(body) or "")
  return claims and claims.iss == M.settings.issuer and claims.exp > ngx.time() and claims
end

local function identify(field)
  local known = cache[field]
  if known and known.exp > ngx.time() then return known end
  local claims = field:sub(1, 7) == "Bearer " and verify(field:sub(8))
  if not claims then return end
  if cached >= CACHED then cache, cached = {}, 0 end
  cache[field], cached = { exp = claims.exp, app = claims.azp }, cached + 1
  return cache[field]
end

local function count(app, units)
  local client = redis:new()
  client:set_timeout(1000)
  if not client:connect("127.0.0.1", M.settings.port) then return end
  script = script or client:script("load", COUNT)
  local now = math.floor(ngx.time() / 60)
  local counted = client:evalsha(script, 1, app .. ":" .. now, units or 1, 120)
  client:set_keepalive(600000, 128)
  return counted
end

local function identified()
  local field = ngx.var.http_authorization
  local known = field and identify(field)
  if not known then return ngx.exit(401) end
  ngx.req.set_header("X-Application-Id", known.app)
  return known.app
end

function M.jwt()
  identified()
end

M["local"] = function()
  local app = identified()
  local key = app .. ":" .. math.floor(ngx.time() / 60)
  if ngx.shared.counters:incr(key, 1, 0, 120) > M.settings.limit then return ngx.exit(429) end
end

function M.shared()
  local counted = count(identified())
  if not counted then return ngx.exit(503) end
  if counted > M.settings.limit then return ngx.exit(429) end
end

-- What it would cost with a lease: units are taken from Redis 100 at a time, and spent here. Nothing is given back.
local LEASE, leases = 100, {}

function M.leased()
  local app, now = identified(), math.floor(ngx.time() / 60)
  local lease = leases[app]
  if not lease or lease.now ~= now then
    lease = { now = now, left = 0 }
    leases[app] = lease
  end
  if lease.left <= 0 then
    local counted = count(app, LEASE)
    if not counted then return ngx.exit(503) end
    if counted > M.settings.limit then return ngx.exit(429) end
    lease.left = lease.left + LEASE
  end
  lease.left = lease.left - 1
end

-- The rest of the job, for the contestant that does all of it: mapping rules, limit headers, ids and metrics; its
-- access log is nginx's own.
local RULES = {
  { "GET", "^/api/v1/status$" }, { "GET", "^/api/v1/items" }, { "POST", "^/api/v1/items" }, { "GET", "^/api/v1/orders" },
  { "POST", "^/api/v1/orders" }, { "GET", "^/api/v1/customers" }, { "POST", "^/api/v1/customers" },
  { "GET", "^/api/v1/invoices" }, { "POST", "^/api/v1/invoices" }, { "GET", "^/api/v1/payments" },
  { "POST", "^/api/v1/payments" }, { "GET", "^/api/v1/carts" }, { "POST", "^/api/v1/carts" },
  { "GET", "^/api/v1/items/[^/]+/parts" }, { "GET", "^/api/v1/orders/[^/]+/lines" },
  { "GET", "^/api/v1/customers/[^/]+/orders" }, { "PUT", "^/api/v1/items/[^/]+" }, { "PUT", "^/api/v1/orders/[^/]+" },
  { "DELETE", "^/api/v1/items/[^/]+" }, { "DELETE", "^/api/v1/orders/[^/]+" },
}
local BOUNDS = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 }

local function usage(method, path)
  local hits = 0
  for _, rule in ipairs(RULES) do
    if rule[1] == method and ngx.re.find(path, rule[2], "jo") then hits = hits + 1 end
  end
  return hits
end

function M.access_full()
  local field = ngx.var.http_authorization
  if usage(ngx.req.get_method(), ngx.var.uri) == 0 then return ngx.exit(404) end
  local known = field and identify(field)
  if not known then return ngx.exit(401) end
  local counted = count(known.app)
  if not counted then return ngx.exit(503) end
  if counted > M.settings.limit then return ngx.exit(429) end
  ngx.ctx.app, ngx.ctx.left = known.app, M.settings.limit - counted
  ngx.req.set_header("X-Application-Id", known.app)
  ngx.req.set_header("X-Request-Id", ngx.var.request_id)
  ngx.req.set_header("X-Forwarded-For", ngx.var.remote_addr)
end

function M.headers()
  local left = ngx.ctx.left
  if not left then return end
  ngx.header["RateLimit-Policy"] = '"hits-minute";q=' .. M.settings.limit .. ";w=60"
  ngx.header["RateLimit"] = '"hits-minute";r=' .. left .. ";t=" .. 60 - ngx.time() % 60
  ngx.header["X-Request-Id"] = ngx.var.request_id
end

function M.measure()
  local metrics, took, bucket = ngx.shared.metrics, tonumber(ngx.var.request_time), #BOUNDS + 1
  for i = 1, #BOUNDS do
    if took <= BOUNDS[i] then bucket = i break end
  end
  metrics:incr("requests:" .. (ngx.ctx.app or "") .. ":" .. ngx.status, 1, 0)
  metrics:incr("seconds:" .. bucket, 1, 0)
  metrics:incr("seconds", took, 0)
end

return M
