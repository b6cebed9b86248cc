// The dashboard as people use it, in a real browser on the real system. Later parts see what earlier ones have made.
// Started by test_dashboard.py, which says where the system is.
import './dashboard/sign_in_link.mjs';
import './dashboard/first_steps.mjs';
import './dashboard/live.mjs';
import './dashboard/left_open.mjs';
import './dashboard/failures.mjs';
import './dashboard/deliveries.mjs';
import './dashboard/posts.mjs';
import './dashboard/webhooks.mjs';
import './dashboard/tokens.mjs';
import './dashboard/graphiql.mjs';
import './dashboard/looks.mjs';
import './dashboard/keyboard.mjs';
import './dashboard/small_windows.mjs';
import './dashboard/lists.mjs';
