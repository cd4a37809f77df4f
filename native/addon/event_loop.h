#pragma once
// The event loop of the process, or of the worker, that the guest runs on.

#include <napi.h>

#include "cpu/bystander.h"

struct uv_loop_s;

namespace nodevm {

class EventLoop final : public Bystander {
 public:
  explicit EventLoop(Napi::Env env);
  // A timer is due, a descriptor is ready, or somebody has asked for the next turn.
  bool waits() override;

 private:
  uv_loop_s* loop_ = nullptr;
};

}  // namespace nodevm
