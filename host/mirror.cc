// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/mirror.h"

#include <algorithm>

namespace usernic {

void Mirror::on_event(const HostEvent& event, Time now) {
  switch (event.kind) {
    case HostEvent::Kind::kAddressAdded:
      if (!gone_) add(event.address, now);
      break;
    case HostEvent::Kind::kAddressDeleted: {
      const auto found = entries_.find(event.address.to_u64());
      if (found == entries_.end() || !found->second.present) break;
      found->second.deleted = now;
      settled_ = false;
      hint(now);
      break;
    }
    case HostEvent::Kind::kLinkChanged:
    case HostEvent::Kind::kEventsLost:
      hint(now);
      break;
    case HostEvent::Kind::kLinkGone:
      gone_ = true;
      link_.up = false;
      let_go();
      break;
  }
}

void Mirror::add(const MacAddress& address, Time mentioned) {
  if (address.is_zero()) return;
  Entry& entry = entries_[address.to_u64()];
  entry.mentioned = std::max(entry.mentioned, mentioned);
  entry.deleted = kForever;
  entry.missed = 0;
  if (entry.present) return;
  changed_.push_back(address.to_u64());  // first: it may find no memory
  entry.present = true;
  ++present_;
  settled_ = false;
}

void Mirror::remove(uint64_t key, Entry& entry) {
  changed_.push_back(key);
  entry.present = false;
  entry.deleted = kForever;
  --present_;
}

void Mirror::on_picture(const HostPicture& picture) {
  if (gone_) return;
  const bool agree = picture.before == picture.after;
  ++picture_number_;
  pictured_ = true;
  known_ = true;
  last_begun_ = picture.begun;
  last_ended_ = picture.ended;
  gap_ = std::max(kHintMin, kHintCostFactor * (picture.ended - picture.begun));
  if (hint_time_ < picture.begun) hinted_ = false;
  note_link(picture.after);
  uc_empty_ = picture.uc_empty;

  if (!settled_ || picture.addresses != last_addresses_) {
    settled_ = false;  // until all of it is taken in
    see(picture);
    last_addresses_ = picture.addresses;
    settled_ = agree;
    if (agree) judge_absent(picture);
  }
  if (agree) judge_promiscuity(picture);
  if (!agree) hint(picture.ended);
  note_known(picture, agree);
}

void Mirror::note_known(const HostPicture& picture, bool agree) {
  if (!agree) {
    agreed_ = 0;
    return;
  }
  agreed_begun_ = {picture.begun, agreed_begun_[0], agreed_begun_[1]};
  agreed_ = std::min(agreed_ + 1, agreed_begun_.size());
  const bool in_doubt = !settled_ || promiscuity_missed_ > 0 || promiscuity_unclear_;
  const size_t enough = in_doubt ? 3 : picture.whole ? 1 : 2;
  if (agreed_ >= enough) known_as_of_ = std::max(known_as_of_, agreed_begun_[enough - 1]);
}

// Everything that a picture shows was there, whether or not the picture counts as a whole.
void Mirror::see(const HostPicture& picture) {
  for (const MacAddress& address : picture.addresses) {
    if (address.is_zero()) continue;
    Entry& entry = entries_[address.to_u64()];
    entry.seen_in = picture_number_;
    entry.missed = 0;
    // Somebody else still holds what the DEL event was about, if the picture is the younger one.
    if (entry.deleted < picture.begun) entry.deleted = kForever;
    if (entry.present) continue;
    changed_.push_back(address.to_u64());
    entry.present = true;
    ++present_;
  }
}

void Mirror::judge_absent(const HostPicture& picture) {
  for (auto& [key, entry] : entries_) {
    if (!entry.present || entry.seen_in == picture_number_) {
      if (entry.deleted != kForever) settled_ = false;
      continue;
    }
    if (entry.mentioned < picture.begun) {
      const bool announced = entry.deleted < picture.begun;
      const int enough = !picture.whole ? 3 : announced ? 1 : 2;
      if (++entry.missed >= enough) {
        remove(key, entry);
        continue;
      }
      if (announced) hint(picture.ended);
    }
    settled_ = false;
  }
}

void Mirror::judge_promiscuity(const HostPicture& picture) {
  const uint32_t promiscuity = picture.after.promiscuity;
  promiscuity_unclear_ = picture.after.up && promiscuity == 1 && !picture.uc_empty;
  if (promiscuity_unclear_) return hint(picture.ended);
  if (!picture.after.up) {
    promiscuity_missed_ = 0;
    return;
  }
  if (promiscuity > 1 || (promiscuity == 1 && *picture.uc_empty)) {
    promiscuous_ = true;
    promiscuity_missed_ = 0;
  } else if (promiscuous_) {
    // The TAP's unicast list may have come and gone between the LINK answers: look once more.
    if (++promiscuity_missed_ < 2) return hint(picture.ended);
    promiscuous_ = false;
    promiscuity_missed_ = 0;
  }
}

void Mirror::on_picture_failed(Time begun, Time ended) {
  pictured_ = true;
  last_begun_ = begun;
  last_ended_ = ended;
  gap_ = std::max(kRetryAfterFailure, kHintCostFactor * (ended - begun));
  hint(ended);
}

bool Mirror::is_news(const HostLink& link, const std::vector<MacAddress>& addresses,
                     std::optional<bool> uc_empty) const noexcept {
  if (gone_) return false;
  if (!known_ || !settled_ || promiscuity_unclear_ || promiscuity_missed_ > 0) return true;
  if (link != link_ || addresses != last_addresses_) return true;
  return link.promiscuity == 1 && (!uc_empty || uc_empty != uc_empty_);
}

Time Mirror::next_picture() const noexcept {
  if (gone_) return kForever;
  if (!pictured_) return Time::min();
  if (audit_ == kNoAudit) return hinted_ ? last_ended_ + gap_ : kForever;
  Duration audit = kAuditCostFactor * (last_ended_ - last_begun_);
  if (present_ <= kAuditMaxAddresses) audit = std::min(audit, kAuditMax);
  audit = std::max(audit_, audit);
  const Time due = last_begun_ + audit;
  return hinted_ ? std::min(due, last_ended_ + gap_) : due;
}

bool Mirror::always_received(const MacAddress& address) const noexcept {
  return address.is_broadcast() || address == link_.address;
}

void Mirror::note_link(const HostLink& link) {
  if (link.address != link_.address) {
    changed_.push_back(link.address.to_u64());
    changed_.push_back(link_.address.to_u64());
  }
  link_ = link;
}

HostWishes Mirror::take_wishes() {
  HostWishes wishes;
  wishes.gone = gone_;
  if (!known_) return wishes;  // not even which address is our own
  std::ranges::sort(changed_);
  changed_.erase(std::ranges::unique(changed_).begin(), changed_.end());
  for (uint64_t key : changed_) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;
    const Entry& entry = found->second;
    const MacAddress address = MacAddress::from_u64(key);
    const bool wished = entry.present && !always_received(address);
    const bool multicast = address.is_multicast();
    if (wished && !entry.told) (multicast ? wishes.add_multicast : wishes.add_unicast).push_back(address);
    if (!wished && entry.told) (multicast ? wishes.del_multicast : wishes.del_unicast).push_back(address);
  }
  // From here on nothing fails: had there been no memory for a wish, the next take would bring them all.
  for (uint64_t key : changed_) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;
    found->second.told = found->second.present && !always_received(MacAddress::from_u64(key));
    if (!found->second.present) entries_.erase(found);
  }
  changed_.clear();  // and keeps its room, for what is refused
  wishes.promiscuous = promiscuous_;
  wishes.allmulti = link_.allmulti > 0;
  wishes.known = true;
  wishes.link = link_;
  return wishes;
}

void Mirror::refused(const MacAddress& address) {
  const auto found = entries_.find(address.to_u64());
  if (found == entries_.end()) return;
  found->second.told = !found->second.told;
  changed_.push_back(address.to_u64());
}

void Mirror::let_go() {
  for (auto& [key, entry] : entries_) {
    if (entry.present) remove(key, entry);
  }
  promiscuous_ = false;
  link_.allmulti = 0;
}

}  // namespace usernic
