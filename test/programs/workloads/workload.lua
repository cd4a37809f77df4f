-- LuaJIT compiles what is hot to machine code as it runs: numbers, strings, tables, FFI, and traces thrown away.
local bit, ffi = require("bit"), require("ffi")
local function show(name, ...)
  local parts = {name}
  for _, value in ipairs({...}) do
    parts[#parts + 1] = type(value) == "number" and ("%.17g"):format(value) or tostring(value)
  end
  print(table.concat(parts, " "))
end

local state = 42
local function random()
  state = bit.bxor(state, bit.lshift(state, 13))
  state = bit.bxor(state, bit.rshift(state, 17))
  state = bit.bxor(state, bit.lshift(state, 5))
  return (state % 2^31) / 2^31
end

local functions = {"sin", "cos", "tan", "exp", "sqrt", "atan", "floor", "ceil", "abs", "cosh", "log10"}
for _, name in ipairs(functions) do
  local f, sum = math[name], 0
  for _ = 1, 20000 do sum = sum * 0.75 + f(random() * 20) end
  show(name, sum)
end

local sieve, count = {}, 0
for i = 2, 300000 do
  if not sieve[i] then
    count = count + 1
    for j = i * i, 300000, i do sieve[j] = true end
  end
end
show("primes", count)

local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
show("fib", fib(27))

local n = 60
local a, b, c = {}, {}, {}
for i = 1, n do
  a[i], b[i], c[i] = {}, {}, {}
  for j = 1, n do a[i][j], b[i][j] = random(), random() - 0.5 end
end
for i = 1, n do
  for j = 1, n do
    local sum = 0
    for k = 1, n do sum = sum + a[i][k] * b[k][j] end
    c[i][j] = sum
  end
end
show("matrix", c[1][1], c[n][n], c[17][42])

ffi.cdef "typedef struct { int32_t i; uint64_t u; float f; double d; int8_t c; } record; int snprintf(char*, size_t, const char*, ...);"
local records = ffi.new("record[?]", 1000)
for round = 1, 50 do
  for i = 0, 999 do
    local r = records[i]
    r.i = r.i * 31 + round
    r.u = r.u * 6364136223846793005ULL + 1442695040888963407ULL
    r.f = r.f * 0.5 + i
    r.d = r.d / 3 + tonumber(r.i % 1000)
    r.c = r.i
  end
end
show("records", records[999].i, records[500].u, records[7].f, records[999].d, records[3].c)
local buffer = ffi.new("char[100]")
ffi.C.snprintf(buffer, 100, "%s %.10f %d", "text", ffi.new("double", 0.1), ffi.new("int", -7))
show("ffi", ffi.string(buffer))

local words = {}
for i = 1, 20000 do words[i] = string.char(97 + i * 7 % 26):rep(1 + i % 5) .. i % 977 end
table.sort(words)
local text = table.concat(words, " ")
show("strings", #text, select(2, text:gsub("%a+1", "")), (text:match("z+97%d")), text:sub(-30):reverse(), text:byte(777))
local hash = 0
for i = 1, #text do hash = bit.tobit(bit.bxor(bit.rol(hash, 5), text:byte(i)) + 0x9e3779b9) end
show("hash", hash, bit.tohex(hash))

-- The same loop over other types each time: traces, side traces, and exits from them.
local function mixed(list)
  local sum = 0
  for i = 1, #list do
    local v = list[i]
    if type(v) == "number" then sum = sum + v elseif type(v) == "string" then sum = sum + #v else sum = sum - 1 end
  end
  return sum
end
for round = 1, 200 do
  local list = {}
  for i = 1, 300 do
    local kind = (i * round) % 5
    list[i] = kind < 2 and i or kind == 2 and i + 0.5 or kind == 3 and ("x"):rep(i % 9) or true
  end
  if round % 40 == 0 then show("mixed", mixed(list)) jit.flush() else mixed(list) end
end
local co = coroutine.wrap(function() for i = 1, 1e5 do coroutine.yield(i * 0.1) end end)
local sum = 0
for _ = 1, 1e5 do sum = sum + co() end
show("coroutine", sum, pcall(error, "caught"))
show("int64", -7LL / 2, 2ULL^40 % 1000003ULL, bit.lshift(1ULL, 63), 0x7fffffffffffffffLL + 1)
