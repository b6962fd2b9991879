// A pull reader for the little JSON that a safetensors header is: objects, arrays, strings and
// non-negative integers. The caller walks its own schema, so depth is bounded by that schema and
// nothing is kept that it does not ask for. Every call throws JsonError on text that is not valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mcloss {

// "<what is wrong> at byte <offset>".
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class JsonReader {
 public:
  // `text` must outlive the reader. Throws when it is not UTF-8.
  explicit JsonReader(std::string_view text);

  // Calls on_member(name) with the reader at the member's value, which on_member must read.
  // A name twice in one object is an error.
  void object(const std::function<void(const std::string&)>& on_member);
  // Calls on_item() with the reader at each item, which on_item must read.
  void array(const std::function<void()>& on_item);
  std::string string();
  uint64_t integer();
  // Nothing but white space may follow.
  void end();

  [[noreturn]] void fail(const std::string& what) const;

 private:
  char peek();  // the next byte that is not white space; 0 at the end
  void expect(char wanted);
  uint32_t hex4();
  void append_escape(std::string& out);

  std::string_view text_;
  size_t at_ = 0;
};

// `text` in quotes, escaped.
std::string json_quote(std::string_view text);

}  // namespace mcloss
