// SPDX-License-Identifier: Apache-2.0 OR MIT
// The one file that includes nlohmann-json.
#include "ctl/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace usernic::ctl {
namespace {

// Builds a Json from the parser's events; no second tree, and the depth is known before anything is allocated.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return put(Json()); }
  bool boolean(bool value) override { return put(Json(value)); }
  bool number_integer(number_integer_t value) override { return put(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return put(Json(value)); }
  bool number_float(number_float_t value, const string_t&) override { return put(Json(value)); }
  bool string(string_t& value) override { return put(Json(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(false); }
  bool start_array(std::size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

  bool key(string_t& name) override {
    Json::Object& object = open_.back().object;
    if (object.size() >= kJsonMembersMax) return false;
    if (std::ranges::find(object, name, &Json::Member::name) != object.end()) return false;
    object.push_back({std::move(name), Json()});
    return true;
  }

  Json take() { return std::move(result_); }

 private:
  struct Level {
    bool is_array;
    Json::Array array;
    Json::Object object;
  };

  bool open(bool is_array) {
    if (open_.size() >= kJsonDepthMax) return false;
    open_.push_back({is_array, {}, {}});
    return true;
  }
  bool close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    return put(level.is_array ? Json(std::move(level.array)) : Json(std::move(level.object)));
  }
  bool put(Json value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (Level& level = open_.back(); level.is_array) {
      level.array.push_back(std::move(value));
    } else {
      level.object.back().value = std::move(value);
    }
    return true;
  }

  std::vector<Level> open_;
  Json result_;
};

nlohmann::ordered_json convert(const Json& json) {
  if (const auto* array = json.as<Json::Array>()) {
    auto result = nlohmann::ordered_json::array();
    for (const Json& item : *array) result.push_back(convert(item));
    return result;
  }
  if (const auto* object = json.as<Json::Object>()) {
    auto result = nlohmann::ordered_json::object();
    for (const Json::Member& member : *object) result[member.name] = convert(member.value);
    return result;
  }
  return std::visit(
      []<class T>(const T& value) -> nlohmann::ordered_json {
        if constexpr (std::same_as<T, Json::Array> || std::same_as<T, Json::Object>) {
          return nullptr;  // handled above
        } else {
          return value;
        }
      },
      json.value());
}

}  // namespace

// Here, and not in the header: inlined everywhere, they cost much and confuse GCC 12's warnings.
Json::Json() noexcept = default;
Json::Json(bool value) : value_(value) {}
Json::Json(double value) : value_(value) {}
Json::Json(std::string value) : value_(std::move(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(const char* value) : value_(std::string(value)) {}
Json::Json(Array value) : value_(std::move(value)) {}
Json::Json(Object value) : value_(std::move(value)) {}
Json::Json(Signed value) : value_(value.value) {}
Json::Json(Unsigned value) : value_(value.value) {
  if (value.value <= static_cast<uint64_t>(INT64_MAX)) value_ = static_cast<int64_t>(value.value);
}
Json::~Json() = default;
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;

const Json* Json::find(std::string_view name) const {
  const Object* object = as<Object>();
  if (object == nullptr) return nullptr;
  const auto found = std::ranges::find(*object, name, &Member::name);
  return found == object->end() ? nullptr : &found->value;
}

std::optional<Json> parse_json(std::string_view text) {
  Builder builder;
  if (!nlohmann::json::sax_parse(text, &builder)) return std::nullopt;
  return builder.take();
}

std::string to_text(const Json& json) {
  return convert(json).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace usernic::ctl
