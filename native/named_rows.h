// Finds a row of a registry by its name.
#pragma once

#include <iterator>
#include <string>

#include "types.h"

namespace mcloss {

// what: whose name it is, as in "model: expected backbone". Throws E_CONFIG with the names there are.
template <typename Rows>
const auto& row_named(const Rows& rows, const std::string& name, const char* what) {
  std::string names;
  for (const auto& row : rows) {
    if (row.name == name) return row;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error("E_CONFIG",
              std::string(what) + " to be one of " + names + " but received '" + name + "'.");
}

}  // namespace mcloss
