// A file descriptor that closes itself and whose every failure is an E_IO with the system's reason.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "types.h"

namespace mcloss {

class File {
 public:
  // O_NONBLOCK: a pipe without a writer would hold up open() for ever; size() refuses it. On a
  // regular file it does nothing.
  static File open_to_read(const std::string& path) {
    return {path, ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open"};
  }
  static File create(const std::string& path) {
    return {path, ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), "create"};
  }
  // A descriptor of its own for the file that is open as `descriptor`.
  static File duplicate(int descriptor, const std::string& path) {
    return {path, ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0), "open"};
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  // Bytes. Refuses what is not a regular file.
  uint64_t size() const {
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0) fail("read", std::strerror(errno));
    if (!S_ISREG(status.st_mode)) fail("read", "not a regular file");
    return static_cast<uint64_t>(status.st_size);
  }

  // The bytes from `offset` on.
  void read(void* into, uint64_t count, uint64_t offset) const {
    char* to = static_cast<char*>(into);
    while (count > 0) {
      const ssize_t got = ::pread(descriptor_, to, count, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read", std::strerror(errno));
      if (got == 0) fail("read", "it ends early");
      to += got;
      offset += static_cast<uint64_t>(got);
      count -= static_cast<uint64_t>(got);
    }
  }

  // The first `count` bytes as memory, for munmap; outlives the descriptor.
  void* map_to_read(size_t count) const {
    void* const begin = ::mmap(nullptr, count, PROT_READ, MAP_SHARED, descriptor_, 0);
    if (begin == MAP_FAILED) fail("map", std::strerror(errno));
    return begin;
  }

  void write(const void* data, uint64_t count) {
    const char* from = static_cast<const char*>(data);
    while (count > 0) {
      const ssize_t put = ::write(descriptor_, from, count);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail("write", std::strerror(errno));
      from += put;
      count -= static_cast<uint64_t>(put);
    }
  }

  // After it the bytes are on the disk.
  void sync_and_close() {
    if (::fsync(descriptor_) != 0) fail("write", std::strerror(errno));
    const int closing = descriptor_;
    descriptor_ = -1;
    if (::close(closing) != 0) fail("write", std::strerror(errno));
  }

 private:
  File(const std::string& path, int descriptor, const char* action)
      : path_(path), descriptor_(descriptor) {
    if (descriptor_ < 0) fail(action, std::strerror(errno));
  }

  [[noreturn]] void fail(const char* action, const std::string& reason) const {
    throw Error("E_IO", std::string("cannot ") + action + " " + path_ + ": " + reason);
  }

  std::string path_;
  int descriptor_;
};

}  // namespace mcloss
