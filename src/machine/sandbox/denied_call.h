// What happens when the process makes a system call that its filter denies.
#pragma once

namespace doppel::machine::sandbox {

// From now on a denied call prints one line on stderr that names it; then SIGSYS goes to the handler that was there
// before, if any, and ends the process. Call before the filter acts.
void report_denied_calls();

}  // namespace doppel::machine::sandbox
