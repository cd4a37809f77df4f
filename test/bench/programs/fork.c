/* Forks and runs itself, as a shell does with its commands. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 0;
  int completed = 0;
  for (int n = 0; n < count; n++) {
    const pid_t child = fork();
    if (child == 0) {
      execl(argv[0], argv[0], (char*)0);
      _exit(1);
    }
    int status = 1;
    if (waitpid(child, &status, 0) == child && status == 0) completed++;
  }
  if (argc > 1) printf("%d\n", completed);
  return 0;
}
