// SPDX-License-Identifier: Apache-2.0 OR MIT
// Nothing: a library of precompiled headers needs a source.
