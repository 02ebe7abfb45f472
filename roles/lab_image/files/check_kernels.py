# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails unless the Jupyter of this Python knows the kernels named by the arguments."""

import os
import pwd
import sys

from jupyter_client.kernelspec import KernelSpecManager

# AI Lab starts Jupyter as the owner of its environment, which is not the user of the image.
owner = pwd.getpwuid(os.stat(sys.prefix).st_uid)
if owner.pw_uid:
    os.environ["HOME"] = owner.pw_dir

known = sorted(KernelSpecManager().find_kernel_specs())
missing = [name for name in sys.argv[1:] if name not in known]
if missing:
    sys.exit(
        f"lab_image_kernels: after its commands Jupyter does not know the kernel {', '.join(missing)}, "
        f"but {', '.join(known)}. Install it for all users, as with --prefix /usr/local or --global."
    )
