// What a trainer has to say that is no error, LibTorch's own warnings among it: kept until asked for
// instead of printed, each text once.
#pragma once

#include <c10/util/Exception.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace mcloss {

class Warnings : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override { add("LibTorch: " + warning.msg()); }

  void add(const std::string& text) {
    if (said_.insert(text).second) waiting_.push_back(text);
  }
  std::vector<std::string> take() { return std::exchange(waiting_, {}); }

 private:
  std::set<std::string> said_;
  std::vector<std::string> waiting_;
};

}  // namespace mcloss
