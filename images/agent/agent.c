/*
 * nodevm's agent: the guest's end of vm.sh(), vm.push() and vm.pull(). The kernel starts it as init
 * (rdinit=); it leaves a server behind that talks on a serial port of its own, and becomes the real init.
 *
 * It needs nothing of the guest: no C library, no tools, no /proc. System calls are those of
 * arch/x86/entry/syscalls/syscall_64.tbl, numbers and flags those of include/uapi.
 *
 * Frames, both ways: one byte type, four bytes length (little-endian), then that many bytes.
 *   host to guest   'S' cwd, command, environment entries, each ended by NUL: run `sh -c command`
 *                   'W' path, octal mode, each ended by NUL: write standard input to that file
 *                   'R' path, ended by NUL: read that file to standard output
 *                   'I' bytes for standard input; at most WINDOW of them unconsumed
 *                   'Z' end of standard input
 *                   'K' kill what runs
 *   guest to host   'O', 'E' standard output and error
 *                   'C' four bytes: so much of the standard input has been consumed
 *                   'X' four bytes: wait status (for W and R the exit status is an errno)
 * One job runs at a time; the server begins with MAGIC, so that whatever was on the line before is skipped.
 */
#include <asm/termbits.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/poll.h>
#include <linux/signal.h>
#include <linux/wait.h>
#include <stddef.h>
#include <stdint.h>

#define TCSETS 0x5402
#define MAGIC "\0nodevm-agent-1\n"
#define HOME "/.nodevm"
#define WINDOW 32768
#define MAX_REQUEST (128 * 1024)
#define CHUNK 32768
#define HEADER 5

/* The sources that this image was made from: a test compares it with them. */
__attribute__((used)) static const char source_hash[] = "nodevm-agent-source:" SOURCE_HASH;

static long sys6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#define sys(n, a, b, c, d) sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

void *memcpy(void *to, const void *from, size_t count) {
  for (size_t i = 0; i < count; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
  return to;
}

void *memset(void *to, int value, size_t count) {
  for (size_t i = 0; i < count; i++) ((volatile char *)to)[i] = (char)value;
  return to;
}

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

static void copy(void *to, const void *from, size_t count) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void close(int fd) { sys(__NR_close, fd, 0, 0, 0); }

__attribute__((noreturn)) static void leave(int status) {
  for (;;) sys(__NR_exit_group, status, 0, 0, 0);
}

static void say(const char *text) { sys(__NR_write, 2, text, length_of(text), 0); }

/* ---- the server's state ---- */

static int tty;
/* The guest's /proc, mounted nowhere: it leads to the root of the real init, also after switch_root. */
static int proc = -1;
static int children = -1; /* signalfd for SIGCHLD */

static struct {
  int pid; /* 0 when no job runs */
  int in, out, err;
  int ended; /* the host has sent 'Z' */
} job;

static char request[HEADER + MAX_REQUEST];
static size_t request_length;
static char input[WINDOW];
static size_t input_start, input_end;
static char output[HEADER + CHUNK];

static void wait_for(int fd, short events) {
  struct pollfd waited = {.fd = fd, .events = events};
  sys(__NR_poll, &waited, 1, -1, 0);
}

static void write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    long written = sys(__NR_write, fd, bytes, length, 0);
    if (written == -EAGAIN) {
      wait_for(fd, POLLOUT);
    } else if (written > 0) {
      bytes += written;
      length -= written;
    } else if (written != -EINTR) {
      leave(1);
    }
  }
}

static void put_length(char *to, uint32_t value) { copy(to, &value, 4); }

/* Sends `length` bytes that lie behind the header's room in `output`. */
static void send_output(char type, uint32_t length) {
  output[0] = type;
  put_length(output + 1, length);
  write_all(tty, output, HEADER + length);
}

static void send_number(char type, uint32_t value) {
  char frame[HEADER + 4];
  frame[0] = type;
  put_length(frame + 1, 4);
  put_length(frame + HEADER, value);
  write_all(tty, frame, sizeof frame);
}

/* ---- jobs: these run in a process of their own ---- */

/* To where the real init is: the initramfs, or the root it has switched to. */
static void enter_root(void) {
  if (proc >= 0 && sys(__NR_fchdir, proc, 0, 0, 0) == 0) sys(__NR_chroot, "1/root", 0, 0, 0);
  sys(__NR_chdir, "/", 0, 0, 0);
}

static void run_shell(const char *cwd, const char *command, char **env) {
  static const char *const shells[] = {"/bin/sh", "/usr/bin/sh", "/bin/ash", "/bin/dash", "/bin/bash"};
  static const char *const boxes[] = {"/bin/busybox", "/usr/bin/busybox", "/sbin/busybox", "/busybox"};
  const char *argv[] = {"busybox", "sh", "-c", command, NULL};
  if (sys(__NR_chdir, cwd, 0, 0, 0) < 0) {
    say("nodevm: the working directory cannot be entered\n");
    leave(126);
  }
  for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
    sys(__NR_execve, shells[i], argv + 1, env, 0);
  }
  for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
    sys(__NR_execve, boxes[i], argv, env, 0);
  }
  say("nodevm: the guest has no shell: neither /bin/sh nor /bin/busybox can be run\n");
  leave(127);
}

static int copy_stream(int from, int to) {
  for (;;) {
    long got = sys(__NR_read, from, output, CHUNK, 0);
    if (got == 0) return 0;
    if (got < 0) return (int)-got;
    for (long done = 0; done < got;) {
      long written = sys(__NR_write, to, output + done, got - done, 0);
      if (written < 0) return (int)-written;
      done += written;
    }
  }
}

static int write_file(char *path, const char *octal) {
  int mode = 0;
  while (*octal >= '0' && *octal <= '7') mode = mode * 8 + (*octal++ - '0');
  for (char *slash = path + 1; *slash; slash++) {
    if (*slash != '/') continue;
    *slash = 0;
    sys(__NR_mkdir, path, 0755, 0, 0);
    *slash = '/';
  }
  int fd = (int)sys(__NR_open, path, O_WRONLY | O_CREAT | O_TRUNC, mode, 0);
  if (fd < 0) return -fd;
  int error = copy_stream(0, fd);
  if (error) return error;
  return (int)-sys(__NR_fchmod, fd, mode, 0, 0);
}

static int read_file(const char *path) {
  int fd = (int)sys(__NR_open, path, O_RDONLY, 0, 0);
  return fd < 0 ? -fd : copy_stream(fd, 1);
}

/* The strings of a request; all of them end within it, since a NUL was put behind. */
static size_t split(char *bytes, size_t length, char **words, size_t most) {
  size_t count = 0;
  for (size_t i = 0; i < length && count < most; i += length_of(bytes + i) + 1) {
    words[count++] = bytes + i;
  }
  words[count] = NULL;
  return count;
}

__attribute__((noreturn)) static void run_job(char type, char *payload, size_t length) {
  char *words[130];
  size_t count = split(payload, length, words, 129);
  enter_root();
  if (type == 'S' && count >= 2) run_shell(words[0], words[1], words + 2);
  if (type == 'W' && count == 2) leave(write_file(words[0], words[1]));
  if (type == 'R' && count == 1) leave(read_file(words[0]));
  leave(EINVAL);
}

/* ---- the server ---- */

static void default_signals(void) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  uint64_t none = 0;
  sys(__NR_rt_sigaction, SIGPIPE, &action, 0, 8);
  sys(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
}

static void start_job(char type, char *payload, size_t length) {
  int in[2], out[2], err[2];
  if (sys(__NR_pipe2, in, O_CLOEXEC, 0, 0) < 0 || sys(__NR_pipe2, out, O_CLOEXEC, 0, 0) < 0 ||
      sys(__NR_pipe2, err, O_CLOEXEC, 0, 0) < 0) {
    leave(1);
  }
  int pid = (int)sys(__NR_fork, 0, 0, 0, 0);
  if (pid == 0) {
    sys(__NR_setsid, 0, 0, 0, 0);
    default_signals();
    sys(__NR_dup2, in[0], 0, 0, 0);
    sys(__NR_dup2, out[1], 1, 0, 0);
    sys(__NR_dup2, err[1], 2, 0, 0);
    /* A job that is no program of its own keeps these: its input would never end. */
    close(in[1]);
    close(tty);
    run_job(type, payload, length);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  int ours[] = {in[1], out[0], err[0]};
  for (int i = 0; i < 3; i++) sys(__NR_fcntl, ours[i], F_SETFL, O_NONBLOCK, 0);
  job.pid = pid;
  job.in = in[1];
  job.out = out[0];
  job.err = err[0];
  job.ended = 0;
  input_start = input_end = 0;
  if (pid < 0) {
    job.pid = 0;
    close(job.in);
    close(job.out);
    close(job.err);
    send_number('X', EAGAIN << 8);
  }
}

static void close_input(void) {
  if (job.in >= 0) close(job.in);
  job.in = -1;
}

/* Hands waiting bytes to the job; those that nobody will read are consumed as well. */
static void feed_input(void) {
  uint32_t consumed = 0;
  while (input_start < input_end) {
    long left = input_end - input_start;
    long written = job.in < 0 ? left : sys(__NR_write, job.in, input + input_start, left, 0);
    if (written == -EAGAIN) break;
    if (written < 0) {
      close_input();
      continue;
    }
    input_start += written;
    consumed += written;
  }
  if (consumed > 0) send_number('C', consumed);
  if (input_start == input_end && job.ended) close_input();
}

/* Passes on one read of a pipe; closes it at its end. Returns whether there may be more. */
static int pass_output(int *fd, char type) {
  if (*fd < 0) return 0;
  long got = sys(__NR_read, *fd, output + HEADER, CHUNK, 0);
  if (got > 0) {
    send_output(type, (uint32_t)got);
    return 1;
  }
  if (got != -EAGAIN && got != -EINTR) {
    close(*fd);
    *fd = -1;
  }
  return 0;
}

/*
 * The job's end: its own process has ended. What it wrote is in the pipes by now; processes that it
 * left behind lose theirs.
 */
static void reap(void) {
  int status;
  if (job.pid == 0 || sys(__NR_wait4, job.pid, &status, WNOHANG, 0) != job.pid) return;
  /* A process left behind may write for ever: no more than a pipe holds was written before the end. */
  for (int i = 0; i < 64 && pass_output(&job.out, 'O'); i++) continue;
  for (int i = 0; i < 64 && pass_output(&job.err, 'E'); i++) continue;
  close_input();
  if (job.out >= 0) close(job.out);
  if (job.err >= 0) close(job.err);
  job.out = job.err = -1;
  job.pid = 0;
  send_number('X', (uint32_t)status);
}

static void serve(char type, char *payload, size_t length) {
  if (type == 'S' || type == 'W' || type == 'R') {
    if (job.pid == 0) start_job(type, payload, length);
  } else if (type == 'I' && job.pid != 0) {
    copy(input, input + input_start, input_end - input_start);
    input_end -= input_start;
    input_start = 0;
    if (length > WINDOW - input_end) leave(1);
    copy(input + input_end, payload, length);
    input_end += length;
    feed_input();
  } else if (type == 'Z' && job.pid != 0) {
    job.ended = 1;
    feed_input();
  } else if (type == 'K' && job.pid != 0) {
    sys(__NR_kill, -job.pid, SIGKILL, 0, 0);
  }
}

static void take_requests(void) {
  long got = sys(__NR_read, tty, request + request_length, sizeof request - request_length, 0);
  if (got <= 0) return;
  request_length += got;
  for (;;) {
    uint32_t length;
    if (request_length < HEADER) return;
    copy(&length, request + 1, 4);
    if (length >= MAX_REQUEST) leave(1);
    if (request_length < HEADER + length) return;
    char after = request[HEADER + length];
    request[HEADER + length] = 0;
    serve(request[0], request + HEADER, length);
    request[HEADER + length] = after;
    size_t used = HEADER + length;
    copy(request, request + used, request_length - used);
    request_length -= used;
  }
}

static void loop(void) {
  for (;;) {
    struct pollfd fds[] = {
        {.fd = tty, .events = POLLIN},
        {.fd = children, .events = POLLIN},
        {.fd = job.out, .events = POLLIN},
        {.fd = job.err, .events = POLLIN},
        {.fd = input_start < input_end ? job.in : -1, .events = POLLOUT},
    };
    /* Without a signalfd, a look now and then finds the job's end. */
    int timeout = children < 0 && job.pid != 0 ? 10 : -1;
    sys(__NR_poll, fds, sizeof fds / sizeof *fds, timeout, 0);
    pass_output(&job.out, 'O');
    pass_output(&job.err, 'E');
    if (job.pid != 0 && fds[4].revents != 0) feed_input();
    if (fds[1].revents & POLLIN) {
      char info[128]; /* struct signalfd_siginfo */
      sys(__NR_read, children, info, sizeof info, 0);
    }
    reap();
    if (fds[0].revents != 0) take_requests();
  }
}

static void open_proc(void) {
  sys(__NR_mkdir, HOME "/proc", 0700, 0, 0);
  if (sys6(__NR_mount, (long)"proc", (long)(HOME "/proc"), (long)"proc", 0, 0, 0) == 0) {
    proc = (int)sys(__NR_open, HOME "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
    sys(__NR_umount2, HOME "/proc", 2 /* MNT_DETACH */, 0, 0);
  }
  sys(__NR_rmdir, HOME "/proc", 0, 0, 0);
}

/* The guest finds its file system as it was packed. */
static void remove_traces(void) {
  static const char *const files[] = {HOME "/agent", HOME "/init", HOME "/tty", HOME "/null"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) sys(__NR_unlink, files[i], 0, 0, 0);
  sys(__NR_rmdir, HOME, 0, 0, 0);
}

static void open_tty(void) {
  tty = (int)sys(__NR_open, HOME "/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0, 0);
  if (tty < 0) {
    say("nodevm: the agent's serial port cannot be opened: vm.sh() will not work\n");
    return;
  }
  struct termios raw = {.c_cflag = B115200 | CS8 | CREAD | CLOCAL | CRTSCTS};
  raw.c_cc[VMIN] = 1;
  sys(__NR_ioctl, tty, TCSETS, &raw, 0);
}

__attribute__((noreturn)) static void server(int null) {
  /* 0 to 2 must be taken, or a pipe would get one of these numbers. */
  for (int fd = 0; fd < 3; fd++) sys(__NR_dup2, null, fd, 0, 0);
  sys(__NR_setsid, 0, 0, 0, 0);
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sys(__NR_rt_sigaction, SIGPIPE, &ignore, 0, 8);
  uint64_t mask = 1ul << (SIGCHLD - 1);
  sys(__NR_rt_sigprocmask, SIG_BLOCK, &mask, 0, 8);
  children = (int)sys(__NR_signalfd4, -1, &mask, 8, O_NONBLOCK | O_CLOEXEC);
  job.in = job.out = job.err = -1;
  write_all(tty, MAGIC, sizeof MAGIC - 1);
  loop();
  leave(0);
}

/* An initramfs without an init gets the least that commands expect. Never returns: it is process 1. */
__attribute__((noreturn)) static void be_init(void) {
  static const char *const mounts[][2] = {
      {"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}, {"/tmp", "tmpfs"}};
  for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
    sys(__NR_mkdir, mounts[i][0], 0755, 0, 0);
    sys6(__NR_mount, (long)mounts[i][1], (long)mounts[i][0], (long)mounts[i][1], 0, 0, 0);
  }
  say("nodevm: the initramfs has no init that runs: the agent stands in for it\n");
  for (;;) {
    if (sys(__NR_wait4, -1, 0, 0, 0) == -ECHILD) sys(__NR_pause, 0, 0, 0, 0);
  }
}

__attribute__((noreturn, used)) static void start(long *stack) {
  char **argv = (char **)(stack + 1);
  char **env = argv + stack[0] + 1;
  static char init[4096];
  sys(__NR_readlink, HOME "/init", init, sizeof init - 1, 0);
  open_proc();
  open_tty();
  int null = (int)sys(__NR_open, HOME "/null", O_RDWR | O_CLOEXEC, 0, 0);
  remove_traces();
  if (tty >= 0 && sys(__NR_fork, 0, 0, 0, 0) == 0) {
    /* Twice, so that the real init is not asked to wait for a child that it does not know. */
    if (sys(__NR_fork, 0, 0, 0, 0) == 0) server(null);
    leave(0);
  }
  if (tty >= 0) {
    sys(__NR_wait4, -1, 0, 0, 0);
  }
  argv[0] = init;
  sys(__NR_execve, init, argv, env, 0);
  be_init();
}

__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call start\n");
