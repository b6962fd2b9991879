// The end of a recording, also of one that is broken.
#pragma once

#include <exception>

namespace mcloss {

// Runs `step`, then `end`, which also throws if the recording was broken on the way, by another thread
// too; then `abandon` cleans up. Rethrows what came first, which is the reason.
template <typename Step, typename End, typename Abandon>
void captured(const Step& step, const End& end, const Abandon& abandon) {
  std::exception_ptr reason;
  try {
    step();
  } catch (...) {
    reason = std::current_exception();
  }
  try {
    end();
  } catch (...) {
    if (!reason) reason = std::current_exception();
    abandon();
  }
  if (reason) std::rethrow_exception(reason);
}

}  // namespace mcloss
