// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: who is told what happens to a Net's devices, or to one device. Everything under rtnl.
#pragma once

#include <boost/intrusive/list.hpp>

#include "usernic/notifier.h"

namespace usernic {

class NotifierChain {
 public:
  void add(Notifier& notifier) { list_.push_back(notifier); }
  void remove(Notifier& notifier) { list_.erase(list_.iterator_to(notifier)); }
  // Tells everybody; stops at the first refusal of an event that may be refused.
  Result<> call(NetdevEvent event, NetDevice& dev);

 private:
  boost::intrusive::list<
      Notifier, boost::intrusive::member_hook<Notifier, boost::intrusive::list_member_hook<>, &Notifier::hook_>>
      list_;
};

}  // namespace usernic
