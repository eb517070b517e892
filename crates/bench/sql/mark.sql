SELECT 'statements are logged from here on';
