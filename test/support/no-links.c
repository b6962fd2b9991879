/* A disk without symbolic links, for LD_PRELOAD. */
#include <errno.h>

int symlink(const char *target, const char *path) {
  (void)target;
  (void)path;
  errno = EPERM;
  return -1;
}
