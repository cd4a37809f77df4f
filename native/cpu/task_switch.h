#pragma once
// Hardware task switches. SDM volume 3, "Task Switching".

#include "cpu/cpu.h"

namespace nodevm {

// What causes a task switch; the `kind` of Cpu::taskSwitch.
enum class TaskSwitchKind : uint8_t { kJump, kCall, kReturn, kEvent };

enum class TaskSwitchResult : uint8_t {
  kDone,
  kFault,           // recorded, and nothing has changed
  kFaultInNewTask,  // recorded, to be delivered with the new task's state, which is in force
};

struct TaskSwitch {
  TaskSwitchKind kind;
  uint16_t selector;  // of the TSS
  uint64_t next;      // RIP and EFLAGS to save in the old TSS
  uint64_t flags;
  bool hasErrorCode = false;
  uint32_t errorCode = 0;  // pushed on the new task's stack
};

[[nodiscard]] TaskSwitchResult switchTask(Cpu& cpu, const TaskSwitch& request);

}  // namespace nodevm
