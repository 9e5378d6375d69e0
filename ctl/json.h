// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: JSON values, and the tree's one door to a JSON library.
//
// A Json is null, true/false, an integer, a number with a fraction, a text, an array or an object. Objects keep the
// order in which their members were put in: what usernic prints has the key order that its documentation shows.
// Text that comes from outside is never trusted: `parse_json` takes valid UTF-8 only, at most kJsonDepthMax levels
// and kJsonMembersMax members an object.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace usernic::ctl {

inline constexpr int kJsonDepthMax = 16;
inline constexpr int kJsonMembersMax = 64;

class Json {
 public:
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;
  // Integers that fit int64_t are int64_t, larger ones uint64_t.
  using Value = std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, Array, Object>;

  Json() noexcept;
  ~Json();
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  Json(bool value);
  Json(double value);
  Json(std::string value);
  Json(std::string_view value);
  Json(const char* value);
  Json(Array value);
  Json(Object value);
  template <std::signed_integral T>
  Json(T value) : Json(Signed{value}) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) Json(T value) : Json(Unsigned{value}) {}

  const Value& value() const { return value_; }
  template <class T>
  const T* as() const {
    return std::get_if<T>(&value_);
  }
  // The member of that name; null when there is none, or this is no object.
  const Json* find(std::string_view name) const;

 private:
  struct Signed {
    int64_t value;
  };
  struct Unsigned {
    uint64_t value;
  };
  explicit Json(Signed value);
  explicit Json(Unsigned value);

  Value value_;
};

struct Json::Member {
  std::string name;
  Json value;
};

// The value of one complete text; nullopt for anything else: garbage, trailing garbage, too deep, not UTF-8, a name
// twice in one object.
std::optional<Json> parse_json(std::string_view text);

// One line without spaces; octets that are not UTF-8 become U+FFFD.
std::string to_text(const Json& json);

}  // namespace usernic::ctl
// Explained best by: ctl/json_test.cc
