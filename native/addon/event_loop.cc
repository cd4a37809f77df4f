#include "addon/event_loop.h"

#include <poll.h>
#include <uv.h>

namespace nodevm {

EventLoop::EventLoop(Napi::Env env) { napi_get_uv_event_loop(env, &loop_); }

// As those do who embed a loop in another one (libuv, "uv_backend_fd"). Where nothing is alive the
// timeout says nothing.
bool EventLoop::waits() {
  if (!loop_) return true;
  uv_update_time(loop_);
  if (uv_loop_alive(loop_) && uv_backend_timeout(loop_) == 0) return true;
  pollfd backend{.fd = uv_backend_fd(loop_), .events = POLLIN, .revents = 0};
  return backend.fd < 0 || poll(&backend, 1, 0) != 0;
}

}  // namespace nodevm
