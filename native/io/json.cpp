#include "io/json.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace mcloss {
namespace {

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// The length of the UTF-8 sequence that begins at `at`, 0 where there is none: overlong forms,
// surrogates and codes above U+10FFFF are none.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t offset) -> uint32_t {
    return at + offset < text.size() ? static_cast<unsigned char>(text[at + offset]) : 0;
  };
  const uint32_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  uint32_t code = first & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  const uint32_t smallest = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < smallest || surrogate || code > 0x10FFFF ? 0 : length;
}

bool is_space(char byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

}  // namespace

JsonReader::JsonReader(std::string_view text) : text_(text) {
  while (at_ < text_.size()) {
    const size_t length = utf8_length(text_, at_);
    if (length == 0) fail("not UTF-8");
    at_ += length;
  }
  at_ = 0;
}

void JsonReader::object(const std::function<void(const std::string&)>& on_member) {
  expect('{');
  std::vector<std::string> names;
  if (peek() == '}') {
    ++at_;
    return;
  }
  for (;;) {
    names.push_back(string());
    expect(':');
    on_member(names.back());
    if (peek() != ',') break;
    ++at_;
  }
  expect('}');
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) fail("the name " + json_quote(*twice) + " twice in the object ending");
}

void JsonReader::array(const std::function<void()>& on_item) {
  expect('[');
  if (peek() == ']') {
    ++at_;
    return;
  }
  for (;;) {
    on_item();
    if (peek() != ',') break;
    ++at_;
  }
  expect(']');
}

std::string JsonReader::string() {
  expect('"');
  std::string out;
  for (;;) {
    if (at_ >= text_.size()) fail("a string without an end");
    const char byte = text_[at_++];
    if (byte == '"') return out;
    if (static_cast<unsigned char>(byte) < 0x20) fail("a control character in a string");
    if (byte == '\\') {
      append_escape(out);
    } else {
      out += byte;
    }
  }
}

void JsonReader::append_escape(std::string& out) {
  static constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
  if (at_ >= text_.size()) fail("a string without an end");
  const char letter = text_[at_++];
  if (letter != 'u') {
    const size_t which = letters.find(letter);
    if (which == std::string_view::npos) fail("an unknown escape in a string");
    out += meanings[which];
    return;
  }
  uint32_t code = hex4();
  if (code >= 0xDC00 && code <= 0xDFFF) fail("a low surrogate without its high one");
  if (code >= 0xD800 && code <= 0xDBFF) {
    if (text_.substr(at_, 2) != "\\u") fail("a high surrogate without its low one");
    at_ += 2;
    const uint32_t low = hex4();
    if (low < 0xDC00 || low > 0xDFFF) fail("a high surrogate without its low one");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code);
}

uint32_t JsonReader::hex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char digit = at_ < text_.size() ? text_[at_] : '\0';
    if (digit >= '0' && digit <= '9') {
      code = code << 4 | static_cast<uint32_t>(digit - '0');
    } else if ((digit >= 'a' && digit <= 'f') || (digit >= 'A' && digit <= 'F')) {
      code = code << 4 | static_cast<uint32_t>((digit | 0x20) - 'a' + 10);
    } else {
      fail("expected four hexadecimal digits");
    }
  }
  return code;
}

uint64_t JsonReader::integer() {
  const char first = peek();
  if (first < '0' || first > '9') fail("expected a non-negative integer");
  uint64_t value = 0;
  const size_t begin = at_;
  for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
    const uint64_t digit = static_cast<uint64_t>(text_[at_] - '0');
    if (value > (std::numeric_limits<uint64_t>::max() - digit) / 10) fail("an integer too large");
    value = value * 10 + digit;
  }
  if (first == '0' && at_ > begin + 1) fail("an integer with a leading zero");
  return value;
}

void JsonReader::end() {
  peek();
  if (at_ < text_.size()) fail("text after the end");
}

char JsonReader::peek() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

void JsonReader::expect(char wanted) {
  if (peek() != wanted || at_ >= text_.size()) fail(std::string("expected '") + wanted + "'");
  ++at_;
}

void JsonReader::fail(const std::string& what) const {
  throw JsonError(what + " at byte " + std::to_string(at_));
}

std::string json_quote(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += byte;
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      out += "\\u00";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += byte;
    }
  }
  return out + '"';
}

}  // namespace mcloss
