// The translations that a machine's engine finds from earlier machines, and their keeping for later ones.
//
// A confined machine cannot write files, and what a guest has taken over should not: host code in the user's cache
// would run in the user's next machine. So a second process, which knows no guest, waits for the machine's end, however
// it comes, translates again what the machine's notes say, and writes that.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "machine/spec/specification.h"

namespace doppel::cpu::translate {
class StoredCode;
}

namespace doppel::machine {

class TranslationStore {
  public:
    // Forks: call it while the process has one thread and little memory, which the other one keeps. nullptr: nothing is
    // asked for, or can be used; why is said in one line.
    static std::unique_ptr<TranslationStore> open(const Specification& specification);
    ~TranslationStore();  // finishes
    TranslationStore(const TranslationStore&) = delete;
    TranslationStore& operator=(const TranslationStore&) = delete;

    const std::shared_ptr<cpu::translate::StoredCode>& code() const { return code_; }
    // Waits until what is noted is written. No vCPU runs any more.
    void finish();

  private:
    explicit TranslationStore(std::shared_ptr<cpu::translate::StoredCode> code) : code_(std::move(code)) {}

    std::shared_ptr<cpu::translate::StoredCode> code_;
    UniqueFd link_;  // its end says that the machine has come to its own
    UniqueFd done_;  // and this one's, that all is written
};

}  // namespace doppel::machine
