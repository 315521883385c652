-- Phosphene: named hotkeys in OBS. Written by `phosphene obs install`, removed by `phosphene obs uninstall`.
--
-- A hotkey goes to Phosphene as a custom event of obs-websocket, {"phosphene": {a command of the HTTP API}}, in
-- every scene collection. Lua has no sockets; but obs-websocket lets other plugins make requests by a procedure
-- ("call_request"), which is called here. OBS's Lua bindings cannot pass a pointer that a procedure has returned on
-- to the next one, so these few calls go through LuaJIT's ffi. Where that is not to be had, the push button
-- "Phosphene > ACTION" that `phosphene obs install` made is shown instead.

local obs = obslua

local STYLES = {} -- names of the style bank, filled in by the installation

local HOTKEYS = {
    {
        id = "phosphene.next", label = "Phosphene: next style", button = "next",
        fill = function(command, over_s)
            obs.obs_data_set_string(command, "command", "step")
            obs.obs_data_set_int(command, "by", 1)
            obs.obs_data_set_double(command, "over_s", over_s)
        end,
    },
    {
        id = "phosphene.previous", label = "Phosphene: previous style", button = "previous",
        fill = function(command, over_s)
            obs.obs_data_set_string(command, "command", "step")
            obs.obs_data_set_int(command, "by", -1)
            obs.obs_data_set_double(command, "over_s", over_s)
        end,
    },
}

local style_names = {} -- 1 to 9, as in the script's settings
local over_s = 0.0
local registered = {} -- hotkey id → OBS's number of it

for number = 1, 9 do
    table.insert(HOTKEYS, {
        id = "phosphene.style_" .. number, label = "Phosphene: style " .. number, style = number,
        fill = function(command, seconds)
            obs.obs_data_set_string(command, "command", "style")
            obs.obs_data_set_string(command, "name", style_names[number])
            obs.obs_data_set_double(command, "over_s", seconds)
        end,
    })
end

for _, mode in ipairs({ "bypass", "freeze", "panic" }) do
    table.insert(HOTKEYS, {
        id = "phosphene." .. mode, label = "Phosphene: " .. mode, button = mode,
        fill = function(command)
            obs.obs_data_set_string(command, "command", "mode")
            obs.obs_data_set_string(command, "mode", mode)
            obs.obs_data_set_bool(command, "toggle", true)
        end,
    })
end

table.insert(HOTKEYS, {
    id = "phosphene.resume", label = "Phosphene: resume", button = "resume",
    fill = function(command)
        obs.obs_data_set_string(command, "command", "mode")
        obs.obs_data_set_string(command, "mode", "styled")
    end,
})

local function say(level, text)
    obs.script_log(level, "Phosphene: " .. text)
end

-- ------------------------------------------------------------ through obs-websocket

local SUCCESS = 100

local has_ffi, ffi = pcall(require, "ffi")
if has_ffi then
    has_ffi = pcall(ffi.cdef, [[
        struct phosphene_calldata { uint8_t *stack; size_t size; size_t capacity; bool fixed; };
        struct phosphene_response { unsigned int status_code; char *comment; char *response_data; };
        void *obs_get_proc_handler(void);
        bool proc_handler_call(void *handler, const char *name, struct phosphene_calldata *params);
        bool calldata_get_data(const struct phosphene_calldata *data, const char *name, void *out, size_t size);
        void calldata_set_data(struct phosphene_calldata *data, const char *name, const void *in, size_t size);
        void bfree(void *memory);
    ]])
end

local function pointer_in(library, calldata, name)
    local found = ffi.new("void *[1]")
    if not library.calldata_get_data(calldata, name, found, ffi.sizeof("void *")) then
        return nil
    end
    return found[0] ~= nil and found[0] or nil
end

-- Nothing when OBS took the request, else why not.
local function request(name, json)
    local library = ffi.os == "Windows" and ffi.load("obs") or ffi.C
    local calldata = ffi.new("struct phosphene_calldata")
    local called = library.proc_handler_call(library.obs_get_proc_handler(), "obs_websocket_api_get_ph", calldata)
    local websocket = called and pointer_in(library, calldata, "ph")
    library.bfree(calldata.stack)
    if not websocket then
        return "obs-websocket is not there"
    end

    calldata = ffi.new("struct phosphene_calldata")
    library.calldata_set_data(calldata, "request_type", name, #name + 1)
    library.calldata_set_data(calldata, "request_data", json, #json + 1)
    called = library.proc_handler_call(websocket, "call_request", calldata)
    local response = called and pointer_in(library, calldata, "response")
    library.bfree(calldata.stack)
    if not response then
        return "this obs-websocket takes no requests from scripts"
    end

    local answer = ffi.cast("struct phosphene_response *", response)
    local trouble = nil
    if answer.status_code ~= SUCCESS then
        trouble = "OBS refuses it (" .. tonumber(answer.status_code) .. ")"
    end
    library.bfree(answer.comment)
    library.bfree(answer.response_data)
    library.bfree(response)
    return trouble
end

local function event_json(fill)
    local command, ours, whole = obs.obs_data_create(), obs.obs_data_create(), obs.obs_data_create()
    fill(command, over_s)
    obs.obs_data_set_obj(ours, "phosphene", command)
    obs.obs_data_set_obj(whole, "eventData", ours)
    local json = obs.obs_data_get_json(whole)
    obs.obs_data_release(whole)
    obs.obs_data_release(ours)
    obs.obs_data_release(command)
    return json
end

-- ------------------------------------------------------------ through a push button

-- Whether there is such a button in this scene collection. Phosphene hides it again.
local function press(action)
    local scenes, pressed = obs.obs_frontend_get_scenes(), false
    for _, source in ipairs(scenes or {}) do
        local scene = obs.obs_scene_from_source(source)
        local item = scene and obs.obs_scene_find_source(scene, "Phosphene > " .. action)
        if item and not pressed then
            obs.obs_sceneitem_set_visible(item, false)
            obs.obs_sceneitem_set_visible(item, true)
            pressed = true
        end
    end
    obs.source_list_release(scenes)
    return pressed
end

-- ------------------------------------------------------------ what OBS calls

local function run(hotkey)
    local action = hotkey.button or style_names[hotkey.style]
    if action == nil or action == "" then
        say(obs.LOG_WARNING, "style " .. hotkey.style .. " has no name: write one into the script's settings")
        return
    end
    local trouble = "LuaJIT's ffi is not there"
    if has_ffi then
        local went, said = pcall(request, "BroadcastCustomEvent", event_json(hotkey.fill))
        if went and said == nil then
            return
        end
        trouble = said
    end
    if not press(action) then
        say(obs.LOG_WARNING, "'" .. action .. "' did not get through: " .. tostring(trouble)
            .. ", and there is no push button for it here (phosphene obs install makes them)")
    end
end

function script_description()
    return "<h3>Phosphene</h3>Hotkeys for the painted picture: set them in Settings → Hotkeys, under <i>Phosphene: …</i>"
end

function script_defaults(settings)
    for number = 1, 9 do
        obs.obs_data_set_default_string(settings, "style_" .. number, STYLES[number] or "")
    end
    obs.obs_data_set_default_double(settings, "over_s", 0.0)
end

function script_properties()
    local properties = obs.obs_properties_create()
    obs.obs_properties_add_float_slider(properties, "over_s", "Seconds to morph", 0.0, 10.0, 0.1)
    for number = 1, 9 do
        obs.obs_properties_add_text(properties, "style_" .. number, "Style " .. number, obs.OBS_TEXT_DEFAULT)
    end
    return properties
end

function script_update(settings)
    over_s = obs.obs_data_get_double(settings, "over_s")
    for number = 1, 9 do
        style_names[number] = obs.obs_data_get_string(settings, "style_" .. number)
    end
end

function script_load(settings)
    script_update(settings)
    for _, hotkey in ipairs(HOTKEYS) do
        local number = obs.obs_hotkey_register_frontend(hotkey.id, hotkey.label, function(down)
            if down then
                run(hotkey)
            end
        end)
        registered[hotkey.id] = number
        local keys = obs.obs_data_get_array(settings, hotkey.id)
        obs.obs_hotkey_load(number, keys)
        obs.obs_data_array_release(keys)
    end
end

function script_save(settings)
    for id, number in pairs(registered) do
        local keys = obs.obs_hotkey_save(number)
        obs.obs_data_set_array(settings, id, keys)
        obs.obs_data_array_release(keys)
    end
end
