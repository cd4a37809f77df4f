#pragma once

namespace nodevm {

// Who shares the thread with the guest: it cannot interrupt run(), but is asked now and then.
class Bystander {
 public:
  // Whether there is something to do for it.
  virtual bool waits() = 0;

 protected:
  ~Bystander() = default;
};

}  // namespace nodevm
