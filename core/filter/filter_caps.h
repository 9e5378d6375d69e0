// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what a driver says of its card's filter, looked at before anything is built on it.
#pragma once

#include <string>

#include "usernic/driver.h"

namespace usernic {

// Empty when there can be such a card, else a clause that names the field, its value and what would be right.
// `rx_hash` is tried on a few addresses.
std::string caps_error(const RxFilterCaps& caps, const NetDeviceOps& ops, const void* driver);

// What is wrong with the bucket that rx_hash gave for an address.
std::string bucket_error(AddressClass address_class, const MacAddress& address, uint32_t bucket, uint32_t buckets);

}  // namespace usernic
